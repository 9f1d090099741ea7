import { generateKeyPairSync } from 'node:crypto';
import { dkimSign } from 'mailauth/lib/dkim/sign.js';

/** A key that signs mails, and the record of the name server that it is checked with. */
export class DkimKey {
  private readonly pair = generateKeyPairSync('rsa', { modulusLength: 2048 });

  /** Content of the TXT record `s1._domainkey.<domain>`. */
  get record(): string {
    return `v=DKIM1; k=rsa; p=${this.pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')}`;
  }

  async sign(mail: Buffer, options: { at: Date; domain?: string; maxBodyLength?: number }): Promise<Buffer> {
    const { domain = 'shopify.com', maxBodyLength, at } = options;
    const signature = {
      signingDomain: domain,
      selector: 's1',
      privateKey: this.pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      canonicalization: 'relaxed/relaxed',
      algorithm: 'rsa-sha256',
      signTime: at,
      ...(maxBodyLength === undefined ? {} : { maxBodyLength }),
    };
    const { signatures, errors } = await dkimSign(mail, { ...signature, signatureData: [signature] });
    if (signatures === '') throw new Error(`not signed: ${JSON.stringify(errors)}`);
    return Buffer.concat([Buffer.from(signatures), mail]);
  }
}
