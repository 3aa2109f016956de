/** The man pages of the `godwit` command, made of its own definitions: what `--help` says, as roff. */
import type { Argument, Command, Option } from 'commander';
import { AFTERWORD, makeProgram } from '../../agent/command/command';
import { version } from '../../package.json';

/** Of the manual: commands. */
const SECTION = 1;

/** By their file names. */
export async function manPages(): Promise<Map<string, string>> {
  const program = await makeProgram();
  const verbs = verbsOf(program);
  const names = [program.name(), ...verbs.map(nameOf)];
  const pages = [mainPage(program, verbs), ...verbs.map((verb) => verbPage(verb))];
  return new Map(
    names.map((name, at) => [
      `${name}.${SECTION}`,
      `${[heading(name), ...pages[at]!, ...seeAlso(name, names)].join('\n')}\n`,
    ]),
  );
}

const nameOf = (verb: Command) => `godwit-${verb.name()}`;
const verbsOf = (command: Command) =>
  command.commands.filter((verb) => command.createHelp().visibleCommands(command).includes(verb));

const heading = (name: string) =>
  [
    '.\\" Made of the definitions of the command by `npm run docs:man`: changes here are lost.',
    `.TH ${name.toUpperCase()} ${SECTION} "" "godwit ${version}" "Godwit"`,
  ].join('\n');

function mainPage(program: Command, verbs: Command[]): string[] {
  const { paragraphs, exitStatus, examples } = afterword();
  return [
    ...section('NAME', `${program.name()} \\- ${text(lowered(program.description()))}`),
    ...section('SYNOPSIS', bold('godwit'), italic('verb'), '[options]'),
    ...section('DESCRIPTION', paragraph(program.description()), ...paragraphs),
    ...section(
      'VERBS',
      ...verbs.map((verb) =>
        tagged(`.BR ${nameOf(verb).replaceAll('-', '\\-')} (${SECTION})`, verb.summary()),
      ),
    ),
    ...options(program),
    ...section('EXIT STATUS', exitStatus),
    ...section('EXAMPLES', examples),
  ];
}

function verbPage(verb: Command): string[] {
  const parts = verbsOf(verb);
  return [
    ...section('NAME', `${nameOf(verb)} \\- ${text(lowered(verb.summary()))}`),
    ...section(
      'SYNOPSIS',
      ...(parts.length > 0 ? parts.flatMap((part) => [usage(part), '.br']) : [usage(verb)]),
    ),
    ...section('DESCRIPTION', paragraph(verb.description()), ...argumentsOf(verb)),
    ...parts.flatMap((part) => [
      `.SH ${part.name().toUpperCase()}`,
      paragraph(part.description()),
      ...argumentsOf(part),
      ...optionsOf(part),
    ]),
    ...(parts.length > 0 ? [] : options(verb)),
  ];
}

const seeAlso = (name: string, names: string[]) =>
  section(
    'SEE ALSO',
    names
      .filter((other) => other !== name)
      .map(
        (other, at, all) =>
          `.BR ${other.replaceAll('-', '\\-')} (${SECTION})${at < all.length - 1 ? ',' : ''}`,
      )
      .join('\n'),
  );

const section = (title: string, ...lines: string[]) => [`.SH ${title}`, ...lines];
const paragraph = (words: string) => `.PP\n${text(words)}`;
const tagged = (tag: string, words: string) => `.TP\n${tag}\n${text(words)}`;
const bold = (words: string) => `.B ${literal(words)}`;
const italic = (words: string) => `.I ${literal(words)}`;

const usage = (command: Command) => `.B ${literal(command.createHelp().commandUsage(command))}`;
const options = (command: Command) => section('OPTIONS', ...optionsOf(command));
const optionsOf = (command: Command) =>
  command
    .createHelp()
    .visibleOptions(command)
    .map((option) => tagged(bold(option.flags), descriptionOf(option)));
const argumentsOf = (command: Command) =>
  command.registeredArguments
    .filter((argument) => argument.description)
    .map((argument) => tagged(italic(argument.name()), descriptionOf(argument)));

/** As in the help, but for defaults that are nothing. */
function descriptionOf({ description, defaultValue }: Option | Argument): string {
  const said = typeof defaultValue === 'string' ? `${description} (default: ${defaultValue})` : description;
  return said.endsWith('.') ? said : `${said}.`;
}

/** What stands below the help of `godwit`. */
function afterword() {
  const parts = AFTERWORD.trim().split('\n\n');
  const exit = parts.find((part) => part.startsWith('Exit status: '))!;
  const examples = AFTERWORD.split('\n\n').find((part) => part.startsWith('  '))!;
  return {
    paragraphs: parts.filter((part) => part !== exit && !examples.includes(part)).map(paragraph),
    exitStatus: text(exit.replace('Exit status: ', '')),
    examples: `.nf\n${literal(examples.replace(/^ {2}/gm, ''))}\n.fi`,
  };
}

const lowered = (words: string) => words.charAt(0).toLowerCase() + words.slice(1).replace(/\.$/, '');
/** What is typed: a hyphen is one, and no line is taken for a request. */
const literal = (words: string) =>
  words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&');
const text = (words: string) =>
  words
    .replaceAll('\\', '\\e')
    .replace(/\s*\n\s*/g, ' ')
    .replace(/(?<![\w-])--?[a-z][a-z-]*/g, (option) => option.replaceAll('-', '\\-'))
    .replace(/`([^`]+)`/g, (_, code: string) => `\\fB${code.replace(/(?<!\\)-/g, '\\-')}\\fR`)
    .replace(/^(?=[.'])/, '\\&');
