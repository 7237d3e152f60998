// How the command line shows itself to services that ask who it is: options that say the same as the environment does.
import type { Command } from 'commander';

const options = [
  {
    flag: '--tls',
    variable: 'KINDRED_TLS',
    help: 'talk to the services over TLS, trusting the authorities of this machine',
  },
  {
    flag: '--ca-file <pem>',
    variable: 'KINDRED_CA_FILE',
    help: "authorities of the services' certificates; implies --tls",
  },
  {
    flag: '--client-cert <pem>',
    variable: 'KINDRED_CLIENT_CERT_FILE',
    help: 'certificate to show to the services (mTLS)',
  },
  { flag: '--client-key <pem>', variable: 'KINDRED_CLIENT_KEY_FILE', help: 'its private key' },
  {
    flag: '--server-name <name>',
    variable: 'KINDRED_SERVER_NAME',
    help: "name in the services' certificates, if not the host",
  },
  { flag: '--token-file <file>', variable: 'KINDRED_TOKEN_FILE', help: 'file with the token to show' },
] as const;

/** Adds the options; before a command runs, those given take the place of the variables that they name. */
export function addConnectionOptions(program: Command): void {
  for (const { flag, variable, help } of options) program.option(flag, `${help} (${variable})`);
  program.hook('preAction', () => {
    for (const { flag, variable } of options) {
      const name = flag.replace(/^--| .*$/g, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
      const value = program.opts<Record<string, string | true | undefined>>()[name];
      if (value !== undefined) process.env[variable] = value === true ? '1' : value;
    }
  });
}
