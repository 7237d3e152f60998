import { createTrainer, loadTensorFlow } from '@kindred/tensorflow-native';
import { createArchitecture } from '@kindred/simclr';
import { readGoldenJson, readGoldenNpy } from '@kindred/testing';
import { goldenWeights, largestDifference, readGoldenModel } from '../src/spec/golden-weights.js';
for (const threads of [+process.argv[2]!]) {
loadTensorFlow({intraOpThreads: threads});
const g=readGoldenJson<any>('trajectory'), m=readGoldenModel('model-resnet18-cifar'), v=readGoldenNpy<Uint8Array>('trajectory-views');
const [s,b,,h,w]=v.shape as number[];
const t=createTrainer({architecture:createArchitecture(),parameters:goldenWeights(m,true),optimizer:{momentum:.9,weightDecay:1e-4},temperature:.1,normalisation:m,batchSize:b!,imageSize:{height:h!,width:w!}});
const size=v.data.length/s!;
console.log(v.shape, [0,1,2,3].map(i=>(t.step(v.data.subarray(i*size,(i+1)*size),.05)/g.losses[i]-1).toExponential(1)));
const p=t.state().parameters;
let worst:[string,number][]=[]; for(const [n,x] of Object.entries(g.norms) as any){const o=Math.sqrt(p[n]!.reduce((a,c)=>a+c*c,0)); worst.push([n,Math.abs(o/x-1)]);}
worst.sort((a,c)=>c[1]-a[1]); console.log(worst.slice(0,4));
for (const n of ['backbone.conv1.weight','backbone.bn1.running_mean','backbone.bn1.running_var','contrastive_head.2.weight','contrastive_head.2.bias']){const e=readGoldenNpy<Float32Array>('trajectory-after-'+n).data; console.log(n, largestDifference(p[n]!,e)/e.reduce((a,c)=>Math.max(a,Math.abs(c)),0))}
const f=readGoldenNpy<Float32Array>('trajectory-after-features').data; console.log('features',largestDifference(t.evaluate(v.data.subarray(3*size),2*b!).embedding,f));
}
