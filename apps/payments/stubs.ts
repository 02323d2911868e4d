import { GetOrderOwner } from '@jogakbo/contracts-orders';
import { stub, type Stub } from '@jogakbo/testing/stubs';

/** For `nx serve payments` without a store: every order belongs to the member of the development token. */
export default [stub(GetOrderOwner, { memberId: '00000000-0000-7000-8000-000000000001' })] satisfies Stub[];
