/** Values and frames in DAP's words. */
import { basename } from 'node:path';
import type { DebugProtocol } from '@vscode/debugprotocol';
import type { Frames, Value } from '../gdb/contract';

type Counted = Pick<
  DebugProtocol.Variable,
  'variablesReference' | 'indexedVariables' | 'namedVariables' | 'memoryReference'
>;

const counted = ({ reference = 0, indexed, named, memory }: Value): Counted => ({
  variablesReference: reference,
  ...(indexed === undefined ? {} : { indexedVariables: indexed }),
  ...(named === undefined ? {} : { namedVariables: named }),
  ...(memory === undefined ? {} : { memoryReference: memory }),
});

export function asVariable(value: Value): DebugProtocol.Variable {
  const hint = hintOf(value);
  return {
    name: value.name,
    value: value.value,
    ...(value.type === undefined ? {} : { type: value.type }),
    ...(value.expression === undefined ? {} : { evaluateName: value.expression }),
    ...(hint ? { presentationHint: hint } : {}),
    ...counted(value),
  };
}

function hintOf({
  kind,
  attributes = [],
  failed,
}: Value): DebugProtocol.VariablePresentationHint | undefined {
  const all = failed ? [...attributes, 'failedEvaluation'] : attributes;
  if (!kind && all.length === 0) return undefined;
  return { ...(kind ? { kind } : {}), ...(all.length > 0 ? { attributes: all } : {}) };
}

/** The answer to `evaluate`. */
export const asResult = (value: Value): DebugProtocol.EvaluateResponse['body'] => ({
  result: value.value,
  ...(value.type === undefined ? {} : { type: value.type }),
  ...counted(value),
});

/** The answer to `setVariable` and `setExpression`. */
export const asSet = (value: Value): DebugProtocol.SetVariableResponse['body'] => ({
  value: value.value,
  ...(value.type === undefined ? {} : { type: value.type }),
  ...counted(value),
});

export function asFrame(frame: Frames['frames'][number], id: number): DebugProtocol.StackFrame {
  const { name, pc, path, there, line = 0, module } = frame;
  return {
    id,
    name,
    line,
    column: 0,
    instructionPointerReference: pc,
    ...(path ? { source: sourceOf(path, there === true) } : { presentationHint: 'subtle' }),
    ...(module ? { moduleId: module } : {}),
  };
}

const sourceOf = (path: string, there: boolean): DebugProtocol.Source => ({
  name: basename(path),
  path,
  ...(there ? {} : { presentationHint: 'deemphasize', origin: 'not on this machine' }),
});

/** A client that sees there is more asks for as many as it has already; how many there are costs a walk to the last. */
export const totalOf = ({ known, whole }: Frames, shown: number): number =>
  whole ? known : Math.max(known, 2 * shown);
