import type { Body } from '@jogakbo/contract';
import type { OrderConfirmed, OrderRejected } from '@jogakbo/contracts-orders';
import {
  renderContent,
  formatMoney,
  type MailContent,
  type RenderedMail,
  type TextLanguage,
} from './layout.ts';

/**
 * The recipient, without the name: the address need not belong to the person who signed up, and a mail with a name would
 * carry any text to any address.
 */
export interface Reader {
  language: TextLanguage;
}

type Order = Pick<Body<typeof OrderConfirmed>, 'orderId' | 'lines' | 'total'>;

const words = {
  ko: {
    order: '주문 번호',
    total: '합계',
    signature: '조각보 · 이 메일은 발신 전용입니다.',
    reasons: {
      'out-of-stock': '주문하신 상품의 재고가 부족했습니다.',
      timeout: '주문을 제시간에 처리하지 못했습니다.',
    } as Record<string, string>,
    payment: '결제가 승인되지 않았습니다.',
  },
  en: {
    order: 'Order',
    total: 'Total',
    signature: 'Jogakbo · Please do not reply to this mail.',
    reasons: {
      'out-of-stock': 'We did not have enough of what you ordered.',
      timeout: 'We could not process the order in time.',
    } as Record<string, string>,
    payment: 'The payment was not approved.',
  },
};

const renderMail = (
  language: TextLanguage,
  content: Omit<MailContent, 'language' | 'signature'>,
): RenderedMail => renderContent({ language, signature: words[language].signature, ...content });

/** Renders a mail with the lines, the total and the number of an order. */
const renderOrderMail = (
  language: TextLanguage,
  { orderId, lines, total }: Order,
  content: { subject: string; paragraphs: string[] },
) =>
  renderMail(language, {
    ...content,
    lines: lines.map(({ name, quantity, price }) => ({
      name,
      quantity,
      amount: formatMoney(price, language, quantity),
    })),
    facts: [
      [words[language].total, formatMoney(total, language)],
      [words[language].order, orderId],
    ],
  });

export function renderWelcome({ language }: Reader): RenderedMail {
  return renderMail(
    language,
    language === 'ko'
      ? {
          subject: '조각보에 오신 것을 환영합니다',
          paragraphs: ['가입해 주셔서 감사합니다.', '이제 로그인하고 주문하실 수 있습니다.'],
        }
      : {
          subject: 'Welcome to Jogakbo',
          paragraphs: ['Thank you for joining.', 'You can sign in and order now.'],
        },
  );
}

export function renderSignUpRepeated({ language }: Reader): RenderedMail {
  return renderMail(
    language,
    language === 'ko'
      ? {
          subject: '이미 가입된 주소입니다',
          paragraphs: [
            '이 주소로 새로 가입하려는 요청이 있었습니다. 이미 회원이시므로 아무것도 바뀌지 않았습니다.',
            '직접 하신 요청이라면 기존 비밀번호로 로그인해 주세요. 아니라면 이 메일은 무시하셔도 됩니다.',
          ],
        }
      : {
          subject: 'You are already a member',
          paragraphs: [
            'A sign-up with this address was requested. You are a member already, so nothing has changed.',
            'If this was you, sign in with your existing password. If not, you can ignore this mail.',
          ],
        },
  );
}

export function renderOrderConfirmed({ language }: Reader, order: Order): RenderedMail {
  return renderOrderMail(
    language,
    order,
    language === 'ko'
      ? {
          subject: '주문이 확정되었습니다',
          paragraphs: ['주문해 주셔서 감사합니다. 상품을 준비하고 있습니다.'],
        }
      : {
          subject: 'Your order is confirmed',
          paragraphs: ['Thank you for your order. We are getting it ready.'],
        },
  );
}

export function renderOrderRejected(
  { language }: Reader,
  order: Order & Pick<Body<typeof OrderRejected>, 'rejection'>,
): RenderedMail {
  // Other reasons come from the payment provider and stay confidential.
  const why = words[language].reasons[order.rejection] ?? words[language].payment;
  return renderOrderMail(
    language,
    order,
    language === 'ko'
      ? {
          subject: '주문을 완료하지 못했습니다',
          paragraphs: [`죄송합니다. ${why}`, '결제 금액은 청구되지 않습니다.'],
        }
      : {
          subject: 'Your order could not be completed',
          paragraphs: [`We are sorry. ${why}`, 'You will not be charged.'],
        },
  );
}

export function renderOrderCancelled({ language }: Reader, order: Order): RenderedMail {
  return renderOrderMail(
    language,
    order,
    language === 'ko'
      ? {
          subject: '주문이 취소되었습니다',
          paragraphs: ['주문이 취소되었습니다. 결제하신 금액은 돌려 드립니다.'],
        }
      : {
          subject: 'Your order is cancelled',
          paragraphs: ['Your order is cancelled. We will refund what you paid.'],
        },
  );
}

export function renderOrderRefunded({ language }: Reader, order: Order): RenderedMail {
  const amount = formatMoney(order.total, language);
  return renderOrderMail(
    language,
    order,
    language === 'ko'
      ? {
          subject: '환불이 완료되었습니다',
          paragraphs: [`취소하신 주문의 결제 금액 ${amount}을 돌려 드렸습니다.`],
        }
      : {
          subject: 'Your refund is done',
          paragraphs: [`We have refunded ${amount} for the order that you cancelled.`],
        },
  );
}
