// The load client's process: gets options, sends the load, answers with what came back.
import { runCallLoad, type CallLoadOptions } from './call-load.js';

process.once('message', (options: CallLoadOptions) => {
  runCallLoad(options).then(
    (result) => process.send?.(result, () => process.disconnect()),
    (thrown: unknown) => {
      console.error(thrown);
      process.exit(1);
    },
  );
});
