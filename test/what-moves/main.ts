/** `npm run docs:what-moves` */
import { writePage } from './page';

writePage();
