import { negotiateLanguage } from '@jogakbo/service/negotiate-language';

/** The texts of the sign-in pages, by language. */
const texts = {
  ko: {
    title: '조각보 로그인',
    signIn: (client: string) => `${client}에 로그인`,
    email: '이메일',
    password: '비밀번호',
    submit: '로그인',
    consent: (client: string) => `${client}에서 다음 정보를 사용하려고 합니다.`,
    allow: '동의',
    refuse: '거절',
    problem: '계속할 수 없습니다',
    expired: '시간이 지났거나 다른 곳에서 온 요청입니다. 처음부터 다시 시도해 주세요.',
    'wrong-credentials': '이메일 또는 비밀번호가 올바르지 않습니다.',
    'too-many-attempts': '시도가 너무 많습니다. 15분 뒤에 다시 시도해 주세요.',
    'too-busy': '지금은 요청이 많습니다. 잠시 뒤에 다시 시도해 주세요.',
    scopes: {
      openid: '회원 식별자',
      profile: '이름',
      email: '이메일 주소',
      offline_access: '자리를 비운 동안의 이용',
    },
  },
  en: {
    title: 'Sign in with Jogakbo',
    signIn: (client: string) => `Sign in to ${client}`,
    email: 'E-mail',
    password: 'Password',
    submit: 'Sign in',
    consent: (client: string) => `${client} asks for the following.`,
    allow: 'Allow',
    refuse: 'Refuse',
    problem: 'Cannot continue',
    expired: 'The request has expired or came from another site. Please start again.',
    'wrong-credentials': 'The e-mail address or password is wrong.',
    'too-many-attempts': 'Too many failed attempts. Please try again in 15 minutes.',
    'too-busy': 'Too many sign-ins at the moment. Please try again in a few seconds.',
    scopes: {
      openid: 'your member number',
      profile: 'your name',
      email: 'your e-mail address',
      offline_access: 'access while you are away',
    },
  },
};

type Texts = (typeof texts)['en'];

const hasTexts = (language: string): language is keyof typeof texts => Object.hasOwn(texts, language);

/** The texts in a language; in English if there are none in that language. */
export const getTexts = (language: string): Texts => (hasTexts(language) ? texts[language] : texts.en);

/**
 * Chooses the language of a page, from those that have texts.
 * @param accept the header Accept-Language
 * @param languages the setting; the first one that has texts is the default, else English
 */
export function chooseLanguage(accept: string | undefined, languages: readonly string[]): string {
  const available = languages.filter(hasTexts);
  return negotiateLanguage(accept, available.length > 0 ? available : ['en']);
}
