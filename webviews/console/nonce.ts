/**
 * xterm.js makes style sheets as it goes, for its size and its colours. The page's policy takes only those that have
 * its nonce, which can't be given to xterm.js; so every style sheet that this page makes gets it.
 */
export function lendNonce(): void {
  const nonce = document.querySelector<HTMLScriptElement>('script[nonce]')?.nonce;
  const create = document.createElement.bind(document) as (tag: string, options?: object) => HTMLElement;
  document.createElement = (tag: string, options?: object) => {
    const made = create(tag, options);
    if (nonce && made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  };
}
