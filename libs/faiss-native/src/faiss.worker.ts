// The thread that mines. One thread for all: mining brings its own threads for each call.
export { addToMining, advanceMining, beginMining, endMining, miningResult } from './mining-tasks.js';
