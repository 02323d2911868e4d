import 'reflect-metadata';
import { serve } from '@jogakbo/service';
import { NotificationsModule } from './notifications.module.ts';

await serve(NotificationsModule);
