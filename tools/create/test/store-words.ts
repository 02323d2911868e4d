/** Packages and folders of the store, and of the tools that only this repository has. */
const storeWords =
  /@jogakbo\/(contracts-)?(catalog|commerce|search|inventory|orders|payments|notifications|store|e2e|create)\b|\bapps\/(catalog|search|inventory|orders|payments|notifications)\b|\btools\/(store|e2e|create)\b/g;

/** @returns each word of the store in this text, with the path */
export const listStoreWords = (path: string, text: string): string[] =>
  [...`${path}\n${text}`.matchAll(storeWords)].map(([word]) => `${path}: ${word}`);
