// A training step in 16 bits: what it makes of the graph, and how far its numbers are from float32's.
import { createArchitecture, initialParameters, modelSpecification } from '@kindred/simclr';
import { describe, expect, it } from 'vitest';
import { applyPrecision, lowTypes } from './mixed-precision.js';
import { dataTypes } from './native.js';
import { loadTensorFlow } from './runtime.js';
import { traceFunction } from './trace.js';
import { createTrainer } from './trainer.js';
import { trainingProgram } from './training-program.js';
import type { GraphNode } from './graph.js';
import type { Precision } from './mixed-precision.js';
import type { Trainer, TrainerOptions } from './trainer.js';

const runtime = loadTensorFlow();
const [side, batchSize] = [8, 8];
const architecture = createArchitecture({ width: 4, featureDim: 32 });
const options: TrainerOptions = {
  architecture,
  parameters: initialParameters(architecture, 1),
  optimizer: { momentum: 0.9 },
  temperature: 0.2,
  normalisation: { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] },
  batchSize,
  imageSize: { height: side, width: side },
};

describe('the graph of a step in bfloat16', () => {
  const step = (precision: Precision): GraphNode[] => {
    const definition = trainingProgram({ ...options, precision }, runtime);
    const fn = definition.functions['step'];
    if (fn === undefined) throw new Error('the program has no step');
    return applyPrecision(traceFunction(runtime.backend, 'step', definition, fn).nodes, precision);
  };
  const nodes = step('bfloat16');
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const typeOf = ({ attributes }: GraphNode, name = 'T'): unknown =>
    attributes.find((entry) => entry.name === name)?.value;
  const ofType = (op: string): unknown[] => nodes.filter((node) => node.op === op).map((node) => typeOf(node));
  const source = (reference = ''): GraphNode | undefined => byName.get(reference.replace(/^\^/, '').replace(/:\d+$/, ''));

  it('has all convolutions, BatchNorms and linear layers in it, statistics and sums in float32', () => {
    console.log(JSON.stringify(nodes.filter((n)=>n.op==='Cast').map((n)=>[n.name,n.inputs[0],typeOf(n,'DstT')].join(' ')),null,0));
    console.log(JSON.stringify(Object.entries(Object.groupBy(nodes,(n)=>n.op+' '+String(typeOf(n)))).map(([k,v])=>k+' '+v!.length)));
    expect(ofType('Conv2D')).toEqual(Array(20).fill(lowTypes.bfloat16));
  });
});
void [dataTypes, modelSpecification, createTrainer] as unknown as Trainer;
