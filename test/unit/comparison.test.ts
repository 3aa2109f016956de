import { expect, test } from 'vitest';
import { differences } from '../support/comparison';

const pending = (mask: string) => ({ 1: { ShdPnd: mask } });

test('what a dump itself adds to the signals that wait is not a difference, any other signal is', () => {
  const [profiled, virtual] = ['000000cc04002200', '000000cc02002200'];
  for (const was of [profiled, virtual])
    expect(differences(pending(was), pending('000000cc00002200'))).toEqual([]);
  for (const is of ['000000cc00002000', '000000cc08002200', '000000cc01002200', '0000000004002200'])
    expect(differences(pending('000000cc00002200'), pending(is))).toHaveLength(1);
});
