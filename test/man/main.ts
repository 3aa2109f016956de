/** `npm run docs:man` */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inProject } from '../support/project';
import { manPages } from './pages';

const folder = inProject('docs', 'man');
mkdirSync(folder, { recursive: true });
for (const page of readdirSync(folder)) rmSync(join(folder, page));
void manPages().then((pages) => {
  for (const [page, text] of pages) writeFileSync(join(folder, page), text);
});
