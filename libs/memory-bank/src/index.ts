// Labelled feature table and what is asked of it: weighted kNN, neighbour purity, exact top-k.
export { exactTopK } from './top-k.js';
export type { Neighbours, TopKOptions } from './top-k.js';
export { weightedKnn } from './weighted-knn.js';
export type { WeightedKnnOptions, WeightedKnnResult } from './weighted-knn.js';
export { distinctLabels, voteByNeighbours } from './votes.js';
export type { ClassShare, Vote, VoteOptions } from './votes.js';
export { neighbourAccuracy, top1Accuracy } from './accuracy.js';
