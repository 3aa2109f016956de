import fc from 'fast-check';
import { expect, it } from 'vitest';
import { threadList } from '../../agent/debug/stub/thread-list';

it('names the threads whose names are known', () => {
  expect(
    threadList(
      ['p8.8', 'p8.1f', 'p9.9'],
      new Map([
        [8, 'main'],
        [31, 'worker 1'],
      ]),
    ),
  ).toBe(
    '<?xml version="1.0"?>\n<threads>\n<thread id="p8.8" name="main"/>\n' +
      '<thread id="p8.1f" name="worker 1"/>\n<thread id="p9.9"/>\n</threads>\n',
  );
});

it('is well-formed whatever a thread calls itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      const list = threadList(['1'], new Map([[1, name]]));
      expect(list).toMatch(
        /^<\?xml version="1.0"\?>\n<threads>\n<thread id="1" name="[ -~]*"\/>\n<\/threads>\n$/,
      );
      expect(list.slice(list.indexOf('name="') + 6, list.indexOf('"/>'))).not.toMatch(/[<>&"']/);
    }),
  );
});
