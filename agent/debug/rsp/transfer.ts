/** Objects that are read by `qXfer`, a window at a time (GDB manual, "General Query Packets"). Pure. */
import { escapeBinary } from './codec';

const THREADS = /^qXfer:threads:read::([0-9a-f]{1,8}),([0-9a-f]{1,8})$/i;

export interface Window {
  offset: number;
  length: number;
}

/** The window of the list of threads that a packet asks for; null for any other packet. */
export function threadsWindow(packet: string): Window | null {
  const [, offset, length] = THREADS.exec(packet) ?? [];
  if (offset === undefined || length === undefined) return null;
  return { offset: Number.parseInt(offset, 16), length: Number.parseInt(length, 16) };
}

export function windowOf(object: string, { offset, length }: Window): string {
  const bytes = Buffer.from(object);
  const isLast = offset + length >= bytes.length;
  return `${isLast ? 'l' : 'm'}${escapeBinary(bytes.subarray(offset, offset + length))}`;
}
