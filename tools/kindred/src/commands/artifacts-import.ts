// `kindred artifacts import`: a model that was trained elsewhere, to be served here.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import type { ArtifactStore } from '@kindred/artifact-store';
import { KindredError, invalidField, isKindredError } from '@kindred/errors';
import { readExperiment } from '@kindred/experiment';
import { codeVersion, createModelRegistry, readManifest, runModelKey, writeManifest } from '@kindred/lineage';
import { withModelFiles } from '../model-files.js';
import type { ImportRequest, ImportResult } from '../model-files.worker.js';
import { parseRunId, readNamedFile } from '../settings.js';
import { runWithStore } from '../stored.js';

interface ImportOptions {
  readonly name?: string;
  readonly form?: string;
  readonly configExp?: string;
}

const forms = ['cifar', 'stl', 'imagenet'] as const;
/** No ResNet-18 comes near it, and it is read into memory. */
const maxFileBytes = 2 ** 31;

/** Adds the command. */
export function addArtifactsImport(artifacts: Command): void {
  artifacts
    .command('import <file>')
    .description("take in a ResNet-18 of others: the reference's or lightly's .pth, .pth.tar or .ckpt, or safetensors")
    .option('--name <name>', 'name to load it by (default: made from the file name)')
    .option('--form <form>', 'cifar, stl or imagenet: stl has the tensors of cifar, which is what is taken without')
    .option(
      '--config-exp <file>',
      'experiment file that it was trained with: form, normalisation and crop are taken from it',
    )
    .addHelpText(
      'after',
      `
Nothing in the file is executed. An import that was cut goes on when it is repeated; repeated again it changes nothing. Without --config-exp it is served with the normalisation and crop that are usual for the form.
Example:
  kindred artifacts import simclr_cifar-10.pth.tar --name scan-cifar10
  kindred embed --model scan-cifar10 cat.png`,
    )
    .action((file: string, options: ImportOptions, command: Command) =>
      runWithStore(command, async (store, { output }) => {
        const name = parseRunId('--name', options.name ?? nameFrom(file));
        const request = { file: await readModelFile(file), name: basename(file), settings: await settingsOf(options) };
        const model = await withModelFiles((models) => models.read(request));
        const key = await save(store, name, file, model);
        const { architecture, normalisation, cropSize, leftOut } = model;
        output.text(`model ${name}: ${JSON.stringify(architecture)}`);
        output.text(
          `images: centre crop of ${cropSize} pixels, mean ${normalisation.mean.join(' ')}, deviation ${normalisation.std.join(' ')}` +
            (options.configExp === undefined && model.format !== 'kindred'
              ? ' (usual for the form; --config-exp names others)'
              : ''),
        );
        if (leftOut.length > 0) output.text(`left out, as no embedding needs them: ${leftOut.join(', ')}`);
        output.text(`use it by: kindred embed --model ${name} IMAGE…`);
        const { file: _, ...facts } = model;
        output.result({ name, key, ...facts });
      }),
    );
}

/** Writes the model where the embedding service finds it by name, with its manifest, and registers it. */
async function save(store: ArtifactStore, name: string, path: string, model: ImportResult): Promise<string> {
  const key = runModelKey(name);
  const taken = (what: string): KindredError =>
    new KindredError('ALREADY_EXISTS', `there is ${what} '${name}' already; choose another --name`, {
      resource: { type: 'model', name },
    });
  if ((await store.describe(`runs/${name}/run.json`)) !== null) throw taken('a run');
  const { sha256, size } = await store.put(key, model.file, { ifAbsent: true }).catch(async (thrown: unknown) => {
    if (!isKindredError(thrown, 'ALREADY_EXISTS')) throw thrown;
    // The same again goes on with what an import that was cut has left undone.
    const found = await store.get(key);
    if (Buffer.compare(found, model.file) !== 0) throw taken('another model');
    return { sha256: createHash('sha256').update(found).digest('hex'), size: found.length };
  });
  const file = { key, sha256, size };
  const { architecture, normalisation, cropSize, origin } = model;
  const source = { kind: 'import', id: basename(path) } as const;
  // Registered first: a manifest of what nothing refers to is garbage. The same file keeps the version that it has.
  await createModelRegistry(store).register(name, { ...file, source, description: `imported from ${source.id}` });
  const known = await readManifest(store, 'model', name);
  if (known?.files.some((other) => other.key === key && other.sha256 === sha256) === true) return key;
  await writeManifest(store, {
    kind: 'model',
    id: name,
    producer: { program: 'kindred', version: await codeVersion() },
    inputs: [],
    config: { architecture, normalisation, crop_size: cropSize, origin },
    seed: null,
    metrics: {},
    files: [file],
  });
  return key;
}

async function settingsOf({ form, configExp }: ImportOptions): Promise<ImportRequest['settings']> {
  if (configExp === undefined) {
    const known = forms.find((name) => name === form);
    if (form !== undefined && known === undefined)
      throw invalidField('--form', `got '${form}'; allowed: ${forms.join(', ')}`);
    return { form: known };
  }
  const experiment = readExperiment({ text: await readNamedFile('--config-exp', configExp), file: configExp });
  const { crop_size: cropSize, normalize } = experiment.transformation_kwargs;
  return {
    form: experiment.model_kwargs.form ?? (experiment.train_db_name === 'stl-10' ? 'stl' : 'cifar'),
    normalisation: normalize,
    cropSize,
  };
}

async function readModelFile(path: string): Promise<Uint8Array> {
  let handle;
  try {
    handle = await open(path);
    const { size } = await handle.stat();
    if (size > maxFileBytes) {
      throw new KindredError('RESOURCE_EXHAUSTED', `${path}: got ${size} bytes; allowed: ${maxFileBytes}`);
    }
    return await handle.readFile();
  } catch (thrown) {
    if (thrown instanceof KindredError) throw thrown;
    throw new KindredError('NOT_FOUND', `FILE: '${path}' cannot be read: ${(thrown as Error).message}`, {
      resource: { type: 'file', name: path },
      cause: thrown,
    });
  } finally {
    await handle?.close();
  }
}

/** A file's name as one for a model: `SimCLR_CIFAR-10.pth.tar` gives `simclr-cifar-10`. */
function nameFrom(path: string): string {
  return basename(path)
    .replace(/(\.(pth|tar|ckpt|pt|safetensors))+$/, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
}
