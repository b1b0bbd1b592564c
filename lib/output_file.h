// SPDX-License-Identifier: GPL-2.0-or-later
// A file that is replaced as a whole or stays as it was.
#pragma once

#include <string>
#include <string_view>

#include "lib/result.h"

namespace synward {

// A file's new contents, beside it until publish(). Move-only; one that is not published leaves nothing.
class OutputFile {
  public:
    // Writes `text` beside the file that `path` leads to, to the disk. A file that is there keeps
    // its mode and owner; a new one has the mode that the umask leaves. What is no file (a pipe, a
    // terminal, standard output itself) keeps its place, and has the text with publish(). Code
    // `usage` for a symlink that leads nowhere. Follows no symlink that the kernel would not
    // (fs.protected_symlinks).
    [[nodiscard]] static Result<OutputFile> write(const std::string& path, std::string_view text);
    OutputFile(OutputFile&& other) noexcept;
    OutputFile& operator=(OutputFile&&) = delete;
    ~OutputFile();

    // The file has its new contents. A pipe is waited for until somebody reads it.
    Result<void> publish();

  private:
    OutputFile() = default;

    std::string path_;    // as it was given
    std::string target_;  // where that leads
    std::string fresh_;   // what is beside it; empty when there is nothing
    std::string text_;    // of what is no file
};

}  // namespace synward
