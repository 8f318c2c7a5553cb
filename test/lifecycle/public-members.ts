import path from 'node:path';
import ts from 'typescript';
import { root } from '../child';

/**
 * Every public constructor, method and accessor of the package's classes, and of the objects that they hand out, as TypeScript
 * sees them: `new DenseNet`, `DenseNet.create` (static), `DenseNet#forward`, `TrainingRun#cancel`.
 *
 * @param handedOut Exported interfaces whose methods count, too.
 */
export function publicMembers(handedOut: readonly string[]): string[] {
  const entry = path.join(root, 'lib', 'index.ts');
  const config = ts.readConfigFile(path.join(root, 'tsconfig.json'), (file) => ts.sys.readFile(file));
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root);
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`TypeScript does not read ${entry}`);
  const found: string[] = [];
  for (const exported of checker.getExportsOfModule(module)) {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    const isClass = (symbol.flags & ts.SymbolFlags.Class) !== 0;
    if (!isClass && !handedOut.includes(exported.name)) continue;
    const instance = checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol)).filter(isPublicCall);
    found.push(...instance.map((member) => `${exported.name}#${plainName(member)}`));
    // A class that is exported as a type alone can be made by nobody.
    if (!isClass || exported.declarations?.some(ts.isTypeOnlyImportOrExportDeclaration)) continue;
    const own = checker.getPropertiesOfType(checker.getTypeOfSymbol(symbol)).filter(isPublicCall).filter(isOurs);
    found.push(`new ${exported.name}`, ...own.map((member) => `${exported.name}.${plainName(member)}`));
  }
  return found;
}

function isPublicCall(member: ts.Symbol): boolean {
  if ((member.flags & (ts.SymbolFlags.Method | ts.SymbolFlags.Accessor)) === 0) return false;
  return (member.declarations ?? []).every((declaration) => {
    const hidden = ts.getCombinedModifierFlags(declaration) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);
    const name = ts.getNameOfDeclaration(declaration);
    return hidden === 0 && !(name !== undefined && ts.isPrivateIdentifier(name));
  });
}

/** Whether a member is declared in this package, not in TypeScript's or Node's own declarations. */
function isOurs(member: ts.Symbol): boolean {
  return (member.declarations ?? []).some((one) => !one.getSourceFile().isDeclarationFile);
}

/** `[Symbol.asyncDispose]` has a name of TypeScript's own, `__@asyncDispose@123`. */
function plainName(member: ts.Symbol): string {
  const known = /^__@(\w+)@\d+$/.exec(member.name);
  return known === null ? member.name : `[Symbol.${known[1]}]`;
}
