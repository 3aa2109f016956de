/** A webview's only way out: messages to the panel's host in the extension. */
import { type ZodType, z } from 'zod';
import type { FromWebview } from './messages';

// The webviews' policy forbids `eval`, by which zod would otherwise build its parsers.
z.config({ jitless: true });

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

export interface Host<State> {
  send(message: FromWebview): void;
  /** What was kept last, if there is something and it is still of the right shape. */
  readonly kept: State | undefined;
  keep(state: State): void;
}

export interface Meeting<Message, State> {
  messages: ZodType<Message>;
  state: ZodType<State>;
  onMessage(message: Message): void;
}

/** Listens, and says that the webview is ready. Messages that are not of the contract's shape throw, and do nothing. */
export function meetHost<Message, State>({
  messages,
  state,
  onMessage,
}: Meeting<Message, State>): Host<State> {
  const api = acquireVsCodeApi();
  const kept = state.safeParse(api.getState());
  window.addEventListener('message', ({ data }) => onMessage(messages.parse(data)));
  const host: Host<State> = {
    send: (message) => api.postMessage(message),
    kept: kept.data,
    keep: (next) => api.setState(next),
  };
  // After the caller has its host: a message may be answered at once.
  queueMicrotask(() => host.send({ type: 'ready' }));
  return host;
}
