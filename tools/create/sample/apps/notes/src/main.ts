import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { NotesModule } from './notes.module.ts';

await serve(NotesModule);
