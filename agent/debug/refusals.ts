/** What a debugger may not ask for here, and how it is told. Pure. */

const sentence = (text: string): string => `E.${text}`;
const UNSUPPORTED = '';

const CANNOT_TRAVEL = 'can not travel with a job that migrates';

/** First match wins. An empty reply means "not supported" in the protocol; `E.` shows a sentence to the user. */
const REFUSED: [RegExp, string][] = [
  [/^!$/, UNSUPPORTED],
  [/^QNonStop:0$/, 'OK'],
  [/^QNonStop:/, sentence(`non-stop mode ${CANNOT_TRAVEL}; use all-stop mode`)],
  [/^qT/, UNSUPPORTED],
  [/^QT/, sentence(`tracepoints ${CANNOT_TRAVEL}; use breakpoints`)],
  [/^qAgent|^QAgent/, UNSUPPORTED],
  [/^Qbtrace/, sentence(`branch tracing ${CANNOT_TRAVEL}`)],
  [/^vRun/, sentence('programs are started with `godwit run`, not by the debugger')],
  [/^vAttach/, sentence('other processes are attached with `godwit gdb JOB -p PID`')],
  [/^[Rrbt]/, UNSUPPORTED],
  [/^A/, UNSUPPORTED],
  [/^QStartNoAckMode$/, 'OK'],
  [/^Q(Environment|StartupWithShell|SetWorkingDir|DisableRandomization)/, UNSUPPORTED],
  // What `monitor` can do to gdbserver (end it, above all) is the stub's to decide.
  [/^qRcmd,/, Buffer.from('monitor commands are not served here\n').toString('hex')],
];

/** The answer to a request that never reaches the debug server; undefined if it may. */
export const refusalOf = (request: string): string | undefined =>
  REFUSED.find(([pattern]) => pattern.test(request))?.[1];

/** Features of the debug server that the client must not learn of. */
const HIDDEN =
  /^(QNonStop|ConditionalTracepoints|TraceStateVariables|TracepointSource|DisconnectedTracing|FastTracepoints|StaticTracepoints|InstallInTrace|EnableDisableTracepoints|tracenz|QTBuffer|QAgent|Qbtrace|qXfer:(statictrace|traceframe-info|btrace)|QStartupWithShell|QEnvironment|QSetWorkingDir|QDisableRandomization)/;

/** The debug server's answer to `qSupported` without what is refused. */
export const filterFeatures = (reply: string): string =>
  reply
    .split(';')
    .filter((feature) => !HIDDEN.test(feature))
    .join(';');

/**
 * A client's `qSupported` that asks for stops at breakpoints to be told as such. Without it gdbserver leaves the pc
 * behind a breakpoint that was hit and expects the client to put it back, which gdb knows and lldb does not.
 */
export function withStopReasons(request: string): string {
  const missing = ['swbreak+', 'hwbreak+'].filter((feature) => !request.includes(feature));
  if (missing.length === 0) return request;
  return `${request}${request.includes(':') ? ';' : ':'}${missing.join(';')}`;
}
