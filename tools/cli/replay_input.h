// SPDX-License-Identifier: GPL-2.0-or-later
// What synward replay reads: a capture or a trace, of a file, a pipe or standard input.
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "lib/descriptor.h"
#include "lib/result.h"

namespace synward::cli {

using FileStream = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Opened once, since a pipe cannot be opened again. Move-only.
class ReplayInput {
  public:
    // "-" is standard input. Waits for the first byte of a pipe.
    [[nodiscard]] static Result<ReplayInput> open(const std::string& path);

    // Whether it begins as a trace does, and as no capture.
    [[nodiscard]] bool is_trace() const { return trace_; }
    // From where it began. Only once where it is not seekable().
    [[nodiscard]] Result<FileStream> stream();
    [[nodiscard]] bool seekable() const { return static_cast<bool>(file_); }

  private:
    ReplayInput() = default;

    std::string path_;
    bool trace_ = false;
    Descriptor file_;  // where it can be read again
    off_t begin_ = 0;
    FileStream pipe_{nullptr, &std::fclose};
};

}  // namespace synward::cli
