import { platformRejection, type Body } from '@jogakbo/contract';
import { GetMe } from '@jogakbo/contracts-identity';
import { Handles, type MessageContext } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Member } from './member.ts';

@Controller()
export class GetMeHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetMe)
  async handle(_: Body<typeof GetMe>, { caller }: MessageContext) {
    const member = await this.dataSource.manager.findOneBy(Member, { memberId: caller.memberId });
    if (!member)
      throw platformRejection('unauthenticated', 'the member no longer exists: sign in with another account');
    const { memberId, email, name, roles } = member;
    return { memberId, email, name, roles };
  }
}
