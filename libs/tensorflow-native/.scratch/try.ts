import { createTrainer, loadTensorFlow } from '@kindred/tensorflow-native';
import { createArchitecture, initialParameters } from '@kindred/simclr';
const width=+(process.argv[2]??16), b=+(process.argv[3]??128), n=+(process.argv[4]??20);
const t0=performance.now();
const rt=loadTensorFlow({intraOpThreads:2,interOpThreads:+(process.env.INTER??1)}); console.log(rt.device, rt.version, (performance.now()-t0).toFixed(0),'ms load');
const a=createArchitecture({width});
const t1=performance.now();
const p=initialParameters(a,1);
const t2=performance.now();
const tr=createTrainer({architecture:a,parameters:p,optimizer:{momentum:.9,weightDecay:1e-4},temperature:.1,normalisation:{mean:[.49,.48,.45],std:[.2,.2,.2]},batchSize:b,imageSize:{height:32,width:32}});
console.log('init',(t2-t1).toFixed(0),'create',(performance.now()-t2).toFixed(0));
const v=new Uint8Array(2*b*3072).map((_, i)=>(i*2654435761>>>13)&255);
const times=[];
for(let i=0;i<n;i++){const t=performance.now(); const l=tr.step(v,.01); times.push(performance.now()-t); if(i<4||i==n-1)console.log(i,l,times.at(-1).toFixed(0));}
times.sort((x,y)=>x-y); console.log('median ms',times[n>>1].toFixed(1),'views/s',(2*b/times[n>>1]*1000).toFixed(1),'tensors',rt.tf.memory().numTensors, rt.backend.binding.getNumOfTensors());
