/** The themes in which everything is looked at, by VS Code's names for them. */
export const THEMES = {
  dark: 'Default Dark Modern',
  light: 'Default Light Modern',
  contrast: 'Default High Contrast',
} as const;

export type Theme = keyof typeof THEMES;

export const isTheme = (name: string): name is Theme => name in THEMES;
