/** The names of the members, as they are at one time: made once for each change, and shared by all who read them. */
export class MemberNames {
  readonly #places: ReadonlyMap<string, number>;

  constructor(readonly names: readonly string[]) {
    this.#places = new Map(names.map((name, place) => [name, place]));
  }

  get size(): number {
    return this.names.length;
  }

  has(name: string): boolean {
    return this.#places.has(name);
  }

  placeOf(name: string): number | undefined {
    return this.#places.get(name);
  }
}
