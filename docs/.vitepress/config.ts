import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type DefaultTheme, defineConfig } from 'vitepress';

const docs = resolve(import.meta.dirname, '..');

const readTitle = (path: string): string =>
  /^# (.+)$/m.exec(readFileSync(join(docs, `${path}.md`), 'utf8'))![1]!;

const toItem = (path: string): DefaultTheme.SidebarItem => ({ text: readTitle(path), link: `/${path}` });

/** The pages of a folder. `first` come before the others, which are in alphabetical order. */
const listPages = (folder: string, first: string[] = []): DefaultTheme.SidebarItem[] => {
  const names = readdirSync(join(docs, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => name.slice(0, -3));
  const others = names.filter((name) => !first.includes(name)).sort();
  return [...first, ...others].map((name) => toItem(`${folder}/${name}`));
};

const sidebar: DefaultTheme.Sidebar = [
  { text: 'Tutorial', link: '/tutorial' },
  {
    text: 'How to',
    items: listPages('how-to', [
      'run-the-store',
      'run-one-service',
      'add-a-service',
      'change-a-contract',
      'deploy',
    ]),
  },
  {
    text: 'Reference',
    items: [
      ...listPages('reference', ['cli', 'settings', 'events']),
      { text: 'Contracts', collapsed: true, items: listPages('reference/contracts') },
      { text: 'Map of the services', link: '/map/README' },
      { text: 'Glossary', link: '/glossary' },
    ],
  },
  {
    text: 'Explanation',
    items: listPages('explanation', ['services', 'messages', 'resilience', 'operations', 'development']),
  },
  { text: 'Decisions', collapsed: true, items: listPages('decisions') },
];

/** Whether a page links to a file of the repository that the site does not contain. */
const isOutside = (page: string, link: string): boolean => {
  const target = resolve(docs, dirname(page), link.split('#')[0]!);
  return /^\.\.?\//.test(link) && !target.startsWith(docs) && existsSync(target);
};

export default defineConfig({
  title: 'Jogakbo',
  description: 'Independent NestJS services over RabbitMQ, and the platform around them.',
  cleanUrls: true,
  lastUpdated: false,
  cacheDir: '../.nx/vitepress',
  // All other dead links fail the build.
  ignoreDeadLinks: 'localhostLinks',
  locales: {
    root: { label: 'English', lang: 'en' },
    ko: {
      label: '한국어',
      lang: 'ko',
      link: '/ko/tutorial',
      themeConfig: {
        nav: [
          { text: '튜토리얼', link: '/ko/tutorial' },
          { text: 'English', link: '/' },
        ],
        sidebar: [{ text: '튜토리얼', link: '/ko/tutorial' }],
        outline: { level: 2, label: '이 페이지' },
        docFooter: { prev: '이전', next: '다음' },
        darkModeSwitchLabel: '어두운 화면',
        sidebarMenuLabel: '메뉴',
        returnToTopLabel: '맨 위로',
      },
    },
  },
  themeConfig: {
    nav: [
      { text: 'Tutorial', link: '/tutorial' },
      { text: 'How to', link: '/how-to/run-the-store', activeMatch: '/how-to/' },
      { text: 'Reference', link: '/reference/cli', activeMatch: '/(reference|map|glossary)' },
      { text: 'Explanation', link: '/explanation/services', activeMatch: '/explanation/' },
    ],
    sidebar,
    outline: { level: [2, 3] },
    search: {
      provider: 'local',
      options: {
        locales: {
          ko: {
            translations: {
              button: { buttonText: '검색', buttonAriaLabel: '검색' },
              modal: {
                noResultsText: '결과가 없습니다',
                footer: { selectText: '선택', navigateText: '이동', closeText: '닫기' },
              },
            },
          },
        },
      },
    },
  },
  markdown: {
    config: (md) => {
      // The drawing above it shows the same.
      md.core.ruler.push('mermaid', (state) => {
        state.tokens = state.tokens.filter(({ type, info }) => type !== 'fence' || info !== 'mermaid');
      });
      // Such a link becomes its text.
      md.core.ruler.push('outside-links', ({ tokens, env }) => {
        for (const { children } of tokens) {
          if (!children) continue;
          let isDropped = false;
          const kept = children.filter((token) => {
            if (token.type === 'link_open')
              isDropped = isOutside(
                (env as { relativePath: string }).relativePath,
                token.attrGet('href') ?? '',
              );
            return !isDropped || !/^link_(open|close)$/.test(token.type);
          });
          children.splice(0, children.length, ...kept);
        }
      });
    },
  },
});
