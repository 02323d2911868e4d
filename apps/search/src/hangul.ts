const first = [...'ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ'];
const middle = [...'ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ'];
const last = ['', ...'ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ'];

/** Letters that a keyboard makes of two strokes. */
const strokes: Record<string, string> = {
  ...{
    ㄳ: 'ㄱㅅ',
    ㄵ: 'ㄴㅈ',
    ㄶ: 'ㄴㅎ',
    ㄺ: 'ㄹㄱ',
    ㄻ: 'ㄹㅁ',
    ㄼ: 'ㄹㅂ',
    ㄽ: 'ㄹㅅ',
    ㄾ: 'ㄹㅌ',
    ㄿ: 'ㄹㅍ',
  },
  ...{
    ㅀ: 'ㄹㅎ',
    ㅄ: 'ㅂㅅ',
    ㅘ: 'ㅗㅏ',
    ㅙ: 'ㅗㅐ',
    ㅚ: 'ㅗㅣ',
    ㅝ: 'ㅜㅓ',
    ㅞ: 'ㅜㅔ',
    ㅟ: 'ㅜㅣ',
    ㅢ: 'ㅡㅣ',
  },
};

const place = (syllable: string) => syllable.charCodeAt(0) - 0xac00;

export const isHangul = (text: string): boolean => /^[가-힣ㄱ-ㅣ]/.test(text);

/** The final consonant of the last syllable: '' where it ends in a vowel. */
export const getFinalConsonant = (word: string): string => last[place(word.at(-1)!) % 28] ?? '';

/**
 * The strokes that type a text, in order. Whatever stands on the screen while a word is typed (족 on the way from 조 to
 * 조각) is then a beginning of the word.
 */
export const letters = (text: string): string =>
  text
    .replace(/[가-힣]/g, (syllable) => {
      const at = place(syllable);
      return first[Math.floor(at / 588)]! + middle[Math.floor((at % 588) / 28)]! + last[at % 28]!;
    })
    .replace(/[ㄱ-ㅣ]/g, (letter) => strokes[letter] ?? letter);
