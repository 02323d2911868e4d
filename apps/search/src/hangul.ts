const initialConsonants = [...'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'];
const vowels = [...'ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ'];
const finalConsonants = ['', ...'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'];

/** Letters that take two keystrokes. */
const keystrokes: Record<string, string> = {
  ㄳ: 'ㄱㅅ',
  ㄵ: 'ㄴㅈ',
  ㄶ: 'ㄴㅎ',
  ㄺ: 'ㄹㄱ',
  ㄻ: 'ㄹㅁ',
  ㄼ: 'ㄹㅂ',
  ㄽ: 'ㄹㅅ',
  ㄾ: 'ㄹㅌ',
  ㄿ: 'ㄹㅍ',
  ㅀ: 'ㄹㅎ',
  ㅄ: 'ㅂㅅ',
  ㅘ: 'ㅗㅏ',
  ㅙ: 'ㅗㅐ',
  ㅚ: 'ㅗㅣ',
  ㅝ: 'ㅜㅓ',
  ㅞ: 'ㅜㅔ',
  ㅟ: 'ㅜㅣ',
  ㅢ: 'ㅡㅣ',
};

const getSyllableIndex = (syllable: string) => syllable.charCodeAt(0) - 0xac00;

export const isHangul = (text: string): boolean => /^[가-힣ㄱ-ㅣ]/.test(text);

/** Returns the final consonant of the last syllable; '' if it ends in a vowel. */
export const getFinalConsonant = (word: string): string =>
  finalConsonants[getSyllableIndex(word.at(-1)!) % 28] ?? '';

/**
 * Returns the keystrokes of a text, in order. Every intermediate state while a word is typed (족 between 조 and 조각) is
 * then a prefix of the word.
 */
export const toKeystrokes = (text: string): string =>
  text
    .replace(/[가-힣]/g, (syllable) => {
      const index = getSyllableIndex(syllable);
      return (
        initialConsonants[Math.floor(index / 588)]! +
        vowels[Math.floor((index % 588) / 28)]! +
        finalConsonants[index % 28]!
      );
    })
    .replace(/[ㄱ-ㅣ]/g, (letter) => keystrokes[letter] ?? letter);
