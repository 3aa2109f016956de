import * as assert from 'node:assert/strict';
import * as vscode from 'vscode';

const ID = 'godwit.godwit';

export function extensionTests(): void {
  describe('the extension', () => {
    it('is there', () => {
      assert.ok(vscode.extensions.getExtension(ID));
    });
  });
}
