/** `npm run docs:man` */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inProject } from '../support/project';
import { manPages } from './pages';

const folder = inProject('docs', 'man');
mkdirSync(folder, { recursive: true });
for (const page of readdirSync(folder)) rmSync(join(folder, page));
for (const [page, text] of manPages()) writeFileSync(join(folder, page), text);
