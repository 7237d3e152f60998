// Lets a worker thread or child process that runs from source load TypeScript; a bundle never loads this file.
import { register } from 'tsx/esm/api';

register();
