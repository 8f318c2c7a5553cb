import { readFile } from 'node:fs/promises';
import path from 'node:path';

/** The names of ImageNet's 1,000 classes in the order of their indices, as torchvision lists them. */
export async function imagenetClasses(): Promise<string[]> {
  const file = path.join(__dirname, '..', '..', 'data', 'imagenet-classes.json');
  return JSON.parse(await readFile(file, 'utf8')) as string[];
}
