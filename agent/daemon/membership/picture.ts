/**
 * Who of the members is alive, as far as this node knows. Who is a member is decided elsewhere: one that is taken off the
 * list vanishes here, and what is said of others is not heard. Of members of whom nothing was said nothing is kept.
 */
import type { Standing, Statement } from '../../api/membership';
import type { Health } from './health';
import { MemberNames } from './names';
import type { News } from './news';
import { isLater, type Known, MOST_LEAP, UNSPOKEN } from './statement';
import { Suspicion, type SuspicionTerms } from './suspicion';
import { ALONE_FACTOR, CONFIRMATIONS, SUSPICION_MS, scaleOf } from './timing';

export class Picture {
  /** This node's own. */
  #incarnation = 0;
  #members = new MemberNames([]);
  readonly #known = new Map<string, Known>();
  readonly #suspicions = new Map<string, Suspicion>();
  readonly #dead = new Set<string>();

  constructor(
    private readonly self: string,
    private readonly news: News,
    private readonly health: Health,
    /** Told of each change. */
    private readonly changed: (node: string, standing: Standing, by: string) => void,
  ) {}

  get incarnation(): number {
    return this.#incarnation;
  }

  get dead(): ReadonlySet<string> {
    return this.#dead;
  }

  get hasSuspects(): boolean {
    return this.#suspicions.size > 0;
  }

  has(node: string): boolean {
    return this.#members.has(node);
  }

  of(node: string): Known {
    return this.#known.get(node) ?? UNSPOKEN;
  }

  /** Was anything ever said of it? */
  isSpokenOf(node: string): boolean {
    return this.#known.has(node);
  }

  /** Whatever was said, but for suspicions: those have others who tell of them. */
  all(): Statement[] {
    return [...this.#known]
      .filter(([, { standing }]) => standing !== 'suspect')
      .map(([node, { standing, incarnation }]) => {
        const by = standing === 'alive' ? node : this.self;
        return [node, standing, incarnation, by];
      });
  }

  /** The members are these now. */
  review(members: MemberNames): void {
    this.#members = members;
    for (const name of this.#known.keys()) if (!members.has(name)) this.#forget(name);
  }

  /** @param at own time */
  take(statement: Statement, at: number): void {
    const [node, standing, incarnation] = statement;
    if (node === this.self) this.#defend(standing, incarnation);
    else if (this.has(node)) this.#takeOf(statement, at);
  }

  #takeOf(statement: Statement, at: number) {
    const [node, standing, incarnation, by] = statement;
    const known = this.of(node);
    if (incarnation > known.incarnation + MOST_LEAP) return;
    if (standing === 'dead') this.#takeDeath(statement, at);
    else if (isLater({ standing, incarnation }, known)) this.#set(statement, at);
    else if (known.standing === 'suspect' && standing === 'suspect' && known.incarnation === incarnation)
      if (this.#suspicions.get(node)!.confirm(by)) this.news.add(statement);
  }

  /** Its own word, come straight from it. */
  takeOwn(node: string, incarnation: number, at: number): void {
    const said: Known = { standing: 'alive', incarnation };
    if (isLater(said, this.of(node))) this.#set([node, 'alive', incarnation, node], at);
  }

  /** It has just shown that it is there, with this incarnation. One far above it was never its own. */
  shown(node: string, incarnation: number, at: number): void {
    if (this.of(node).incarnation > incarnation + MOST_LEAP) this.#forget(node);
    this.takeOwn(node, incarnation, at);
  }

  /** This node has found that it does not answer. */
  accuse(node: string, at: number): void {
    if (this.has(node)) this.take([node, 'suspect', this.of(node).incarnation, this.self], at);
  }

  /** Those whose time is over are dead. */
  tick(at: number): void {
    for (const [node, { until }] of this.#suspicions)
      if (at >= until) this.#set([node, 'dead', this.of(node).incarnation, this.self], at);
  }

  /** A member that says nothing of its own death was not asked: by hearsay none is dead before the least time. */
  #takeDeath([node, , incarnation, by]: Statement, at: number) {
    const known = this.of(node);
    if (incarnation < known.incarnation) return;
    if (known.standing === 'dead' && known.incarnation === incarnation) return;
    const suspect: Known = { standing: 'suspect', incarnation };
    if (isLater(suspect, known)) this.#set([node, 'suspect', incarnation, by], at);
    this.#suspicions.get(node)!.hasten();
  }

  #defend(standing: Standing, incarnation: number) {
    if (incarnation > this.#incarnation + MOST_LEAP) return;
    // Of an earlier life of this agent: others will not hear less.
    const isEarlier = standing === 'alive' && incarnation > this.#incarnation;
    const isAccused = standing !== 'alive' && incarnation >= this.#incarnation;
    if (!isEarlier && !isAccused) return;
    this.#incarnation = incarnation + 1;
    this.news.add([this.self, 'alive', this.#incarnation, this.self]);
    if (isAccused) this.health.worse();
  }

  #set(statement: Statement, at: number) {
    const [node, standing, incarnation, by] = statement;
    const before = this.of(node).standing;
    this.#known.set(node, { standing, incarnation });
    this.#suspicions.delete(node);
    if (standing === 'suspect') this.#suspicions.set(node, new Suspicion(by, at, this.#terms()));
    if (standing === 'dead') this.#dead.add(node);
    else this.#dead.delete(node);
    this.news.add(statement);
    if (standing !== before) this.changed(node, standing, by);
  }

  #terms(): SuspicionTerms {
    const members = this.#members.size;
    const leastMs = SUSPICION_MS * scaleOf(members);
    // Without itself and the suspect there must be as many.
    const wanted = members - 2 >= CONFIRMATIONS ? CONFIRMATIONS : 0;
    return { leastMs, mostMs: wanted > 0 ? ALONE_FACTOR * leastMs : leastMs, wanted };
  }

  #forget(node: string) {
    this.#known.delete(node);
    this.#suspicions.delete(node);
    this.#dead.delete(node);
    this.news.forget(node);
  }
}
