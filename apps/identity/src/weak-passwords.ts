/**
 * Rejects weak passwords as NIST SP 800-63B (section 3.1.1.2) requires: common ones, repetitions, sequences, and data of
 * the member. There are no rules about character classes.
 */

/** Common passwords, and words that are common with digits and symbols around them. */
const common = new Set(
  `aaron abcdef access account admin administrator adobe alexander amanda andrea andrew angel anthony apple arsenal
  asdasd ashley asshole austin azerty badboy banana barcelona baseball basketball batman beautiful bigdog biteme blink
  brandon butterfly charlie cheese chelsea chocolate computer cookie corvette cowboys dallas daniel default diamond dragon
  eagles elephant facebook family ferrari flower football forever freedom friends fuckyou gateway george ginger google
  guest hannah harley hello heather hockey hunter iceman iloveyou internet jackson jasmine jennifer jessica jordan
  jordan joseph joshua justin killer kingdom korea lakers letmein liverpool login london loveme lovely loveyou maggie
  manchester marlboro martin master matrix matthew maverick mercedes merlin michael michelle mickey midnight monkey
  monster motdepasse mother mustang mynoob naver nicole ninja nothing orange pass passport passw passwd password
  passwort patrick peaches pepper phoenix pokemon princess purple qazwsx queen qwert qwerty qwertyuiop rainbow rangers
  richard robert root samantha samsung scooter secret security sephora seoul service shadow snoopy soccer sophie spiderman
  starwars steelers summer sunshine superman superstar support system taylor tennis test testing thomas thunder tigger
  trustno trustnoone user victoria welcome whatever william winter yankees yellow zaqwsx
  비밀번호 사랑해 사랑해요 안녕하세요 대한민국 qlalfqjsgh tkfkdgo tkfkdgody dkssud dkssudgktpdy eogksalsrnr`.split(
    /\s+/,
  ),
);

/** Sequences of keyboards and alphabets, in both directions. */
const sequences = [
  'abcdefghijklmnopqrstuvwxyz',
  '가나다라마바사아자차카타파하',
  '01234567890123456789',
  '!@#$%^&*()',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
  'azertyuiopqsdfghjklmwxcvbn',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1q2w3e4r5t6y7u8i9o0p',
  'q1w2e3r4t5y6u7i8o9p0',
  'ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ',
].flatMap((sequence) => [sequence, [...sequence].reverse().join('')]);

const substitutes: Record<string, string> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
};

/** Shorter names may occur within a password, and shorter cores may be sequences. */
const minPartLength = 4;

/** Returns why a password is too easy to guess for the member with this address, or undefined. */
export function findWeakness(password: string, email: string): string | undefined {
  const text = password.normalize('NFKC').toLowerCase();
  const core = stripAffixes(text);
  if (containsName(email.toLowerCase(), text, core)) return 'must not contain the name in the address';
  if (isRepetition(text)) return 'must not repeat the same few characters';
  if (isSequence(text) || (core.length >= minPartLength && isSequence(core)))
    return 'must not follow the keyboard or the alphabet';
  // Reduces a repeated word to one: passwordpassword.
  const once = /^(.+?)\1+$/su.exec(text)?.[1] ?? text;
  return [text, core, once].some(isCommon) ? 'is one of the most common passwords' : undefined;
}

function containsName(email: string, text: string, core: string): boolean {
  const local = email.slice(0, email.lastIndexOf('@'));
  const name = local.split('+', 1)[0]!;
  return (
    [email, local, name].includes(text) ||
    core === name ||
    (name.length >= minPartLength && text.includes(name))
  );
}

/** Whether up to four characters repeat. */
function isRepetition(text: string): boolean {
  const characters = [...text];
  return [1, 2, 3, 4].some((period) =>
    characters.every((one, i) => i < period || one === characters[i - period]),
  );
}

const isSequence = (text: string): boolean => sequences.some((sequence) => sequence.includes(text));

const isCommon = (text: string): boolean =>
  common.has(text) || common.has(text.replace(/[^\p{L}]/gu, (sign) => substitutes[sign] ?? sign));

/** Removes digits and symbols before and after: `!password2026` becomes `generatePassword`. */
const stripAffixes = (text: string): string => text.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
