/** Questions asked one after the other, each with a way back to the one before. */
import { type Disposable, type QuickInput, QuickInputButtons } from 'vscode';

import { type Plain, plain } from '../../agent/api/plain';
import { createInput, createPick, type PlainItem } from '../window';

/** The person wants the question before. */
export const BACK = Symbol('back');
/** The person wants none of it. */
export type Dismissed = undefined;

export interface Position {
  title: string;
  step?: number;
  totalSteps?: number;
}

export type Step<State> = (
  state: State,
  position: Required<Position>,
) => Promise<State | typeof BACK | Dismissed>;

/** What all steps made of `state`, or undefined when the person gave it up. */
export async function inSteps<State>(
  title: string,
  steps: readonly Step<State>[],
  state: State,
): Promise<State | Dismissed> {
  let so = state;
  for (let at = 0; at < steps.length; ) {
    const next = await steps[at]!(so, { title, step: at + 1, totalSteps: steps.length });
    if (next === undefined) return undefined;
    if (next === BACK) {
      at = Math.max(0, at - 1);
    } else {
      so = next;
      at++;
    }
  }
  return so;
}

export interface Choice<T> extends PlainItem {
  /** Of a separator: none. */
  value?: T;
}

export interface PickOptions<T> extends Position {
  placeholder: string;
  items: readonly Choice<T>[];
  /** The one that Enter takes. */
  active?: T | undefined;
  /** The items for what was typed so far; those of a later value stand in for an earlier one's. */
  complete?: (typed: string) => Promise<readonly Choice<T>[]>;
  /** What has been typed already. */
  typed?: string;
  /** Other items while the question is open: the function is given a way to set them. */
  follow?: (set: (items: readonly Choice<T>[]) => void) => Disposable;
  /** The text to go on typing from where the item is one on the way; undefined: it is the answer. */
  onTheWay?: (value: T) => string | undefined;
}

export function askToPick<T>(options: PickOptions<T>): Promise<T | typeof BACK | Dismissed> {
  const pick = createPick<Choice<T>>();
  const { placeholder, items, active, complete, typed = '', follow, onTheWay } = options;
  place(pick, options);
  pick.placeholder = plain(placeholder);
  pick.matchOnDescription = true;
  pick.ignoreFocusOut = false;
  pick.items = items;
  pick.value = typed;
  const chosen = items.find(({ value }) => value !== undefined && value === active);
  if (chosen) pick.activeItems = [chosen];
  const parts: Disposable[] = [pick];
  if (complete) {
    let latest = 0;
    const refresh = async (text: string) => {
      const mine = ++latest;
      const found = await complete(text);
      if (mine === latest) pick.items = found;
    };
    parts.push(pick.onDidChangeValue((text) => void refresh(text)));
  }
  if (follow) {
    parts.push(
      follow((now) => {
        // Each setting undoes what the person is about to do.
        if (JSON.stringify(now) === JSON.stringify(pick.items)) return;
        const [current] = pick.activeItems;
        pick.keepScrollPosition = true;
        pick.items = now;
        const same = now.find(({ value }) => value !== undefined && value === current?.value);
        if (same) pick.activeItems = [same];
      }),
    );
  }
  return settle(pick, parts, (done) => {
    parts.push(
      pick.onDidAccept(() => {
        // Items that have just been set anew are not selected any more, but the same one is active still.
        const item = pick.selectedItems[0] ?? pick.activeItems[0];
        if (item?.value === undefined) return;
        const further = onTheWay?.(item.value);
        if (further === undefined) return done(item.value);
        pick.value = further;
        if (complete) void complete(further).then((found) => (pick.items = found));
      }),
    );
  });
}

export interface TextOptions extends Position {
  prompt: string;
  placeholder?: string;
  value: string;
  /** What is wrong with it, for the person to read; undefined if nothing is. */
  wrong?: (text: string) => string | undefined;
}

export function askForText(options: TextOptions): Promise<string | typeof BACK | Dismissed> {
  const input = createInput();
  const { prompt, placeholder, value, wrong } = options;
  const complaint = (text: string) => {
    const said = wrong?.(text);
    return said === undefined ? undefined : plain(said);
  };
  place(input, options);
  input.prompt = plain(prompt);
  input.placeholder = placeholder === undefined ? undefined : plain(placeholder);
  input.value = value;
  input.valueSelection = [0, value.length];
  const parts: Disposable[] = [
    input,
    input.onDidChangeValue((text) => {
      input.validationMessage = complaint(text);
    }),
  ];
  return settle(input, parts, (done) => {
    parts.push(
      input.onDidAccept(() => {
        input.validationMessage = complaint(input.value);
        if (!input.validationMessage) done(input.value);
      }),
    );
  });
}

function place(input: Asking, { title, step, totalSteps }: Position) {
  input.title = plain(title);
  input.step = step;
  input.totalSteps = totalSteps;
}

interface Asking extends Omit<QuickInput, 'title'> {
  title: Plain | undefined;
  buttons: readonly unknown[];
  onDidTriggerButton(listener: (button: unknown) => void): Disposable;
}

function settle<T>(
  input: Asking,
  parts: Disposable[],
  listen: (done: (value: T) => void) => void,
): Promise<T | typeof BACK | Dismissed> {
  return new Promise((resolve) => {
    const end = (value: T | typeof BACK | Dismissed) => {
      resolve(value);
      for (const part of parts.splice(0)) part.dispose();
    };
    if ((input.step ?? 1) > 1) input.buttons = [QuickInputButtons.Back];
    parts.push(
      input.onDidTriggerButton(() => end(BACK)),
      input.onDidHide(() => end(undefined)),
    );
    listen(end);
    input.show();
  });
}
