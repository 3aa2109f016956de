/** The theme's colours as a canvas can use them. */

const probe = document.createElement('span');
probe.hidden = true;

/** Any CSS colour, with variables and mixes, as the browser computes it. */
export function computed(color: string): string {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = color;
  return getComputedStyle(probe).color;
}

/** VS Code puts a theme's variables on the root, and its kind on the body. */
export function onThemeChange(listener: () => void): void {
  const observer = new MutationObserver(listener);
  observer.observe(document.body, { attributes: true, attributeFilter: ['class', 'data-vscode-theme-id'] });
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ['style'] });
}

export const isHighContrast = (): boolean =>
  ['vscode-high-contrast', 'vscode-high-contrast-light'].some((kind) =>
    document.body.classList.contains(kind),
  );
