/** Schemas of what may be of any length: counted first, and read up to the first thing that is wrong. */
import { type ZodError, type ZodType, z } from 'zod';

interface Wrong {
  path: PropertyKey[];
  message: string;
}

export const firstOf = ({ issues }: ZodError): Wrong =>
  issues[0] ?? { path: [], message: 'it does not fit its schema' };

interface Count {
  most: number;
  least?: number;
}

/**
 * A list of `least` to `most` items. It is counted before anything is looked at, and the first item that is wrong is
 * the last that is: zod's own arrays make an issue of every wrong item, and a message holds millions.
 */
export function list<S extends ZodType>(item: S, { most, least = 0 }: Count) {
  return z.custom<z.input<S>[]>().transform((given, context): z.output<S>[] => {
    if (!Array.isArray(given)) return refuseKind(context, given, 'array');
    if (given.length > most) return refuse(context, given, `${given.length} items, at most ${most} may be`);
    if (given.length < least)
      return refuse(context, given, `${given.length} items, at least ${least} must be`);
    const taken: z.output<S>[] = [];
    for (const [index, value] of given.entries()) {
      const parsed = item.safeParse(value);
      if (!parsed.success) return refuseAt(context, value, [index], parsed.error);
      taken.push(parsed.data);
    }
    return taken;
  });
}

/** Where the names are certain ones, none of them need be there. */
type Named<K extends string, V> = string extends K ? Record<string, V> : Partial<Record<K, V>>;

/** What a program or a person has given names to; counted and looked at like a list. */
export function dictionary<K extends ZodType<string>, V extends ZodType>(key: K, value: V, { most }: Count) {
  type Given = Named<z.input<K> & string, z.input<V>>;
  type Taken = Named<z.output<K>, z.output<V>>;
  return z.custom<Given>().transform((given, context): Taken => {
    if (!isDictionary(given)) return refuseKind(context, given, 'object');
    const entries = Object.entries(given);
    if (entries.length > most)
      return refuse(context, given, `${entries.length} entries, at most ${most} may be`);
    const taken: [string, unknown][] = [];
    for (const [name, content] of entries) {
      const [named, parsed] = [key.safeParse(name), value.safeParse(content)];
      if (!named.success) return refuseAt(context, name, [name], named.error);
      if (!parsed.success) return refuseAt(context, content, [name], parsed.error);
      taken.push([named.data, parsed.data]);
    }
    // Not by assignment: `__proto__` is a name like any other.
    return Object.fromEntries(taken) as Taken;
  });
}

/** An object with any content: nothing is copied. */
export const isDictionary = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

type Refine = z.core.$RefinementCtx;

function refuse(context: Refine, input: unknown, message: string): never {
  context.addIssue({ code: 'custom', input, message });
  return z.NEVER;
}

function refuseKind(context: Refine, input: unknown, expected: 'array' | 'object'): never {
  context.addIssue({ code: 'invalid_type', expected, input });
  return z.NEVER;
}

/** As its own schema has it, at its place in the whole. */
function refuseAt(context: Refine, input: unknown, at: PropertyKey[], { issues }: ZodError): never {
  const issue = issues[0]!;
  const path = [...at, ...issue.path];
  const whole = { ...issue, path, input: issue.path.length === 0 ? input : undefined };
  context.addIssue(whole as Parameters<Refine['addIssue']>[0]);
  return z.NEVER;
}
