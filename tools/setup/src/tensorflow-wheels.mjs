// The Python packages that TensorFlow's libraries are taken from, pinned by content. `pip download` brings them.
import { ExitCode, SetupError } from './setup-error.mjs';

/**
 * A wheel: `name==version` for `platform`, its file's SHA-256, and the paths (or path prefixes, ending in `/` or `*`) to unpack.
 * @typedef {object} Wheel
 * @property {string} name
 * @property {string} version
 * @property {string} platform
 * @property {string} sha256
 * @property {readonly string[]} unpack
 */

export const TENSORFLOW_VERSION = '2.21.0';

/** The headers that the addons' sources reach; the wheel has 13,000 more. */
const TENSORFLOW_FILES = [
  'tensorflow/libtensorflow_cc.so.2',
  'tensorflow/libtensorflow_framework.so.2',
  'tensorflow/include/tensorflow/c/*',
  'tensorflow/include/tensorflow/core/platform/ctstring*',
  'tensorflow/include/tensorflow/core/common_runtime/next_pluggable_device/c/tf_rendezvous*',
  'tensorflow/include/tsl/platform/ctstring*',
  'tensorflow/include/tsl/platform/platform.h',
  'tensorflow/include/xla/tsl/c/*',
];

/** CUDA 12 as `tensorflow[and-cuda]==2.21.0` resolves it. */
const CUDA = [
  cuda('cublas', '12.9.3.13', 'manylinux_2_27', 'd7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72'),
  cuda('cuda-cupti', '12.8.90', 'manylinux2014', 'ea0cb07ebda26bb9b29ba82cda34849e73c166c18162d3913575b0c9db9a6182'),
  cuda('cuda-nvcc', '12.9.86', 'manylinux2010', '5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0'),
  cuda('cuda-nvrtc', '12.9.86', 'manylinux2010', '210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4'),
  cuda('cuda-runtime', '12.9.79', 'manylinux2014', '25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3'),
  cuda('cudnn', '9.28.0.42', 'manylinux_2_27', '9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375'),
  cuda('cufft', '11.4.1.4', 'manylinux2014', 'c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28'),
  cuda('curand', '10.3.10.19', 'manylinux_2_27', '49b274db4780d421bd2ccd362e1415c13887c53c214f0d4b761752b8f9f6aa1e'),
  cuda('cusolver', '11.7.5.82', 'manylinux_2_27', '15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88'),
  cuda('cusparse', '12.5.10.65', 'manylinux2014', '73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78'),
  cuda('nccl', '2.32.3', 'manylinux_2_27', 'bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c'),
  cuda('nvjitlink', '12.9.86', 'manylinux2010', 'e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9'),
];

/**
 * The wheels of this platform.
 * @param {string} kind `cpu` or `gpu`: what `KINDRED_TENSORFLOW` says
 * @param {string} [platform] as `process.platform`-`process.arch`
 * @returns {readonly Wheel[]} the first is TensorFlow itself; a SetupError where there is none
 */
export function tensorflowWheels(kind, platform = `${process.platform}-${process.arch}`) {
  if (kind !== 'cpu' && kind !== 'gpu') {
    throw new SetupError(`KINDRED_TENSORFLOW is '${kind}'; it may be 'cpu' (default) or 'gpu'`, {
      exitCode: ExitCode.usage,
    });
  }
  if (platform === 'linux-x64' && kind === 'cpu') {
    return [tensorflow('tensorflow-cpu', 'x86_64', '2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c')];
  }
  if (platform === 'linux-x64') {
    return [
      tensorflow('tensorflow', 'x86_64', '9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124'),
      ...CUDA,
    ];
  }
  if (platform === 'linux-arm64' && kind === 'cpu') {
    return [tensorflow('tensorflow', 'aarch64', '4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c')];
  }
  throw new SetupError(`no TensorFlow ${TENSORFLOW_VERSION} for '${kind}' on ${platform}`, {
    advice: 'Pinned are: cpu on linux-x64 and linux-arm64, gpu on linux-x64.',
    exitCode: ExitCode.usage,
  });
}

/** @param {string} name @param {string} machine @param {string} sha256 @returns {Wheel} */
function tensorflow(name, machine, sha256) {
  return { name, version: TENSORFLOW_VERSION, platform: `manylinux_2_27_${machine}`, sha256, unpack: TENSORFLOW_FILES };
}

/** @param {string} part @param {string} version @param {string} policy @param {string} sha256 @returns {Wheel} */
function cuda(part, version, policy, sha256) {
  return { name: `nvidia-${part}-cu12`, version, platform: `${policy}_x86_64`, sha256, unpack: ['nvidia/*'] };
}
