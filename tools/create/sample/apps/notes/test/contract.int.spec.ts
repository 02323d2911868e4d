import { contractTests } from '@jogakbo/testing/contract-tests';
import { NotesModule } from '../src/notes.module.ts';

contractTests(NotesModule);
