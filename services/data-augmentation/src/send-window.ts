// Backpressure to the message: a stream's writer may hold many messages that are not on their way yet; this window knows.

/**
 * Counts messages that were handed to the transport and that it has not serialised yet. The transport reads a message's
 * payload when it serialises it, one message after another as the reader's flow control lets them go; Node's object streams
 * would otherwise take 16 messages of any size before they ask the writer to wait.
 */
export interface SendWindow {
  /** Waits until fewer than the window's number of messages are unsent, or until `signal` is aborted. */
  ready(signal: AbortSignal): Promise<void>;
  /** A message with `fields` and the payload `images`, counted as unsent until `images` is read. */
  message<F extends object>(fields: F, images: Uint8Array): F & { readonly images: Uint8Array };
}

/** Makes a window of `size` messages. */
export function createSendWindow(size: number): SendWindow {
  let unsent = 0;
  let wake = (): void => {};
  return {
    async ready(signal) {
      while (unsent >= size && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = () => {
            signal.removeEventListener('abort', wake);
            resolve();
          };
          signal.addEventListener('abort', wake, { once: true });
        });
      }
    },
    message(fields, images) {
      unsent++;
      let counted = true;
      return Object.defineProperty({ ...fields } as typeof fields & { readonly images: Uint8Array }, 'images', {
        enumerable: true,
        get() {
          if (counted) {
            counted = false;
            unsent--;
            wake();
          }
          return images;
        },
      });
    },
  };
}
