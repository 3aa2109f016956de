/**
 * The order in which members are probed: each once a round, each round in another order, so that the time in which a
 * member is not looked at has a bound, and no two probers keep step. It is drawn as it is needed: a new member comes
 * anywhere in what is left of the round.
 */
import { MemberNames } from './names';

export class Round {
  #members = new MemberNames([]);
  /** Places in the list of members: those of this round that are done, then the others. */
  #order = new Uint32Array(0);
  #done = 0;

  constructor(private readonly random: () => number) {}

  review(members: MemberNames): void {
    const before = this.#members;
    this.#members = members;
    if (before.size === 0) {
      this.#order = Uint32Array.from(members.names.keys());
      return;
    }
    const placesOf = (places: Uint32Array) =>
      [...places]
        .map((place) => members.placeOf(before.names[place]!))
        .filter((place) => place !== undefined);
    const done = placesOf(this.#order.subarray(0, this.#done));
    const left = placesOf(this.#order.subarray(this.#done));
    const added = members.names.flatMap((name, place) => (before.has(name) ? [] : [place]));
    this.#order = Uint32Array.from([...done, ...left, ...added]);
    this.#done = done.length;
  }

  /** The next one that is to be probed; undefined where there is none. */
  next(isProbed: (name: string) => boolean): string | undefined {
    for (let left = this.#order.length; left > 0; left--) {
      if (this.#done >= this.#order.length) this.#done = 0;
      const place = this.#draw();
      const name = this.#members.names[place]!;
      if (isProbed(name)) return name;
    }
    return undefined;
  }

  /** Up to `count` of them, different ones, at random. */
  some(count: number, isWanted: (name: string) => boolean): string[] {
    const found = new Set<string>();
    const { length } = this.#order;
    // Of many members most are alive: the first draws hit. Of few all are looked at.
    const looks = Math.min(length, 16 * count);
    const first = this.#below(length);
    const step = length > looks ? 1 + this.#below(length - 1) : 1;
    for (let look = 0; look < looks && found.size < count; look++) {
      const name = this.#members.names[this.#order[(first + look * step) % length]!]!;
      if (isWanted(name)) found.add(name);
    }
    return [...found];
  }

  #draw(): number {
    const order = this.#order;
    const at = this.#done++;
    const drawn = at + this.#below(order.length - at);
    const place = order[drawn]!;
    order[drawn] = order[at]!;
    order[at] = place;
    return place;
  }

  #below(bound: number): number {
    return Math.floor(this.random() * bound);
  }
}
