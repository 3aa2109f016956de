/** Sizes of memory as they are typed: `512M`, `2G`. */
import { InvalidArgumentError } from 'commander';

/** @returns bytes @throws InvalidArgumentError */
export function bytes(text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?$/i.exec(text) ?? [];
  const size = Math.round(Number(number) * 1024 ** ' KMGT'.indexOf(unit.toUpperCase() || ' '));
  if (!(size > 0 && size <= Number.MAX_SAFE_INTEGER))
    throw new InvalidArgumentError('It must be like 512M or 2G.');
  return size;
}
