// Copied beside each built main.js and imported before it: stack traces then name the TypeScript sources. Node's flag
// --enable-source-maps does the same for all packages too, which costs each process 10 MB.
import { setSourceMapsSupport } from 'node:module';

setSourceMapsSupport(true, { nodeModules: false });
