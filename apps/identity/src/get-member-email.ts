import type { Body } from '@jogakbo/contract';
import { GetMemberEmail } from '@jogakbo/contracts-identity';
import { Handles } from '@jogakbo/messaging';
import { Controller } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { Member } from './member.ts';

@Controller()
export class GetMemberEmailHandler {
  constructor(private readonly dataSource: DataSource) {}

  @Handles(GetMemberEmail)
  async handle({ memberId }: Body<typeof GetMemberEmail>) {
    const member = await this.dataSource.manager.findOneBy(Member, { memberId });
    if (!member) throw GetMemberEmail.reject('unknown-member');
    return { email: member.email };
  }
}
