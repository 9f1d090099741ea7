import { createPublicKey, generateKeyPairSync, randomBytes, verify, type KeyObject } from 'node:crypto';
import { asRecord, jsonReply, parseJson, type Received, type Reply } from './receiver.js';

const SCOPE = 'https://www.googleapis.com/auth/analytics.readonly';
const GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const CLIENT_EMAIL = 'plumbline-reader@sandbox-project.iam.gserviceaccount.com';
const KEY_ID = 'sandbox-key-1';
const SKEW_S = 300; // Google's tolerance for clocks is not published; five minutes is usual
const ASSERTION_MAX_S = 3_600;
const TOKENS_KEPT = 1_000;

interface KeyPair {
  privateKeyPem: string;
  publicKey: KeyObject;
}
let pair: KeyPair | null = null;

/** One pair for the process, made when first needed: it takes a tenth of a second, and belongs to nobody real. */
function keyPair(): KeyPair {
  if (pair === null) {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    pair = {
      privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      publicKey: createPublicKey(privateKey),
    };
  }
  return pair;
}

/** Google's token endpoint for one service account: a signed assertion against an access token. */
export class PretendedGoogle {
  /** False: the account was disabled or its key deleted, as a merchant may. */
  isEnabled = true;
  tokenLifetimeS = 3_599;
  issued = 0;
  private readonly tokens = new Map<string, number>();

  constructor(private readonly now: () => number) {}

  /** The JSON that Google lets one download once. */
  accountFile(tokenUri: string): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: 'sandbox-project',
      private_key_id: KEY_ID,
      private_key: keyPair().privateKeyPem,
      client_email: CLIENT_EMAIL,
      client_id: '100000000000000000001',
      token_uri: tokenUri,
    });
  }

  /** @param audience its own address, as the account's file names it */
  issue(request: Received, audience: string): Reply {
    const form = new URLSearchParams(request.body);
    if (form.get('grant_type') !== GRANT) return refuse('unsupported_grant_type', 'Invalid grant_type');
    const fault = this.faultOf(form.get('assertion') ?? '', audience);
    if (fault !== null) return refuse('invalid_grant', fault);
    const token = `ya29.pretended-${randomBytes(24).toString('base64url')}`;
    this.tokens.set(token, this.now() + this.tokenLifetimeS * 1_000);
    if (this.tokens.size > TOKENS_KEPT) this.tokens.delete(this.tokens.keys().next().value ?? '');
    this.issued += 1;
    return jsonReply(200, { access_token: token, expires_in: this.tokenLifetimeS, token_type: 'Bearer' });
  }

  isValid(authorization: string | undefined): boolean {
    const token = /^Bearer (\S+)$/.exec(authorization ?? '')?.[1] ?? '';
    return (this.tokens.get(token) ?? 0) > this.now();
  }

  revokeTokens(): void {
    this.tokens.clear();
  }

  private faultOf(assertion: string, audience: string): string | null {
    if (!this.isEnabled) return 'Account has been disabled.';
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    const read = (part: string) => asRecord(parseJson(Buffer.from(part, 'base64url').toString('utf8')));
    const { alg, kid } = read(header);
    const { iss, scope, aud, iat, exp } = read(claims);
    if (alg !== 'RS256' || (kid !== undefined && kid !== KEY_ID)) return 'Invalid JWT: unknown algorithm or key.';
    const isSigned = verify(
      'sha256',
      Buffer.from(`${header}.${claims}`),
      keyPair().publicKey,
      Buffer.from(signature, 'base64url'),
    );
    if (!isSigned) return 'Invalid JWT Signature.';
    if (iss !== CLIENT_EMAIL) return 'Invalid issuer.';
    if (aud !== audience) return 'Invalid JWT: Failed audience check.';
    if (typeof scope !== 'string' || !scope.split(' ').includes(SCOPE)) return 'Invalid OAuth scope.';
    const nowS = this.now() / 1_000;
    const isTimely =
      typeof iat === 'number' &&
      typeof exp === 'number' &&
      iat <= nowS + SKEW_S &&
      exp > nowS - SKEW_S &&
      exp - iat <= ASSERTION_MAX_S;
    return isTimely
      ? null
      : 'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.';
  }
}

function refuse(error: string, description: string): Reply {
  return jsonReply(400, { error, error_description: description });
}
