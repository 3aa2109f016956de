/** Texts as gdb reads them. */

/** As MI reads a C string. */
export const quoted = (text: string): string =>
  `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;

/** JSON in ASCII; its texts, lists of texts and numbers are Python's too. */
export const literal = (value: unknown): string => JSON.stringify(value).replace(/[\u007f-\uffff]/g, escaped);
const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
