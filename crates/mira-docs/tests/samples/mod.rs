//! Small whole files of the kinds that have a structure.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Cursor, Write};

use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

pub fn zipped(parts: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        let options = SimpleFileOptions::default().compression_method(method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn docx() -> Vec<u8> {
    let body = "<w:document><w:body><w:p><w:pPr><w:pStyle w:val='H'/></w:pPr><w:r><w:t>One &amp; two</w:t></w:r></w:p>\
        <w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl></w:body></w:document>";
    let styles = "<w:styles><w:style w:styleId='H'><w:name w:val='heading 1'/></w:style></w:styles>";
    let parts = [
        ("word/document.xml", body.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
    ];
    // Not packed, so that changed bytes reach the XML.
    zipped(&parts, CompressionMethod::Stored)
}

pub const PDF: &str = "%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
    2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 300 300]/Resources<</Font<</F 5 0 R>>>>>>\nendobj\n\
    3 0 obj\n<</Type/Page/Parent 2 0 R/Contents 4 0 R>>\nendobj\n\
    4 0 obj\n<</Length 96>>\nstream\nq BT /F 12 Tf 1 0 0 1 50 200 Tm [(Some) -300 (text)] TJ 0 -14 TD (and more of it) Tj T* (end) Tj ET Q\nendstream\nendobj\n\
    5 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica/FirstChar 32/LastChar 34/Widths[278 278 355]>>\nendobj\n\
    trailer\n<</Root 1 0 R/Size 6>>\n";

pub const HTML: &str = "<!doctype html><title>T</title><main><h1>A</h1><p>b <a href='/c'>d</a></p><table><tr><td>1<td>2</table>\
    <ul><li>x<ol><li>y</ol></ul><pre><code class=language-c>z</code></pre></main>";
