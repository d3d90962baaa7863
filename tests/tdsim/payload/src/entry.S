# The way in by the Linux 64-bit boot protocol, exceptions, and instructions that are tried out.

.set OFFSET, 0xffffffff80000000
.set STACK_SIZE, 0x10000

.section .text.entry, "ax"
.code64
.global linux_entry
linux_entry:
    cli
    cld
    leaq pml4(%rip), %rax
    movq %rax, %cr3
    xorl %edi, %edi
    jmp enter

# Another processor's: the second one.
.global second_entry
second_entry:
    cli
    cld
    leaq pml4(%rip), %rax
    movq %rax, %cr3
    movl $1, %edi

enter:
    movq $high_half, %rax
    jmp *%rax
high_half:
    lgdt gdt_pointer(%rip)
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    leal 1(%edi), %eax
    imulq $STACK_SIZE, %rax, %rax
    leaq stacks(%rip), %rsp
    addq %rax, %rsp
    pushq $0x10
    leaq 1f(%rip), %rax
    pushq %rax
    lretq
1:  lidt idt_pointer(%rip)
    xorl %ebp, %ebp
    call payload_start
    ud2

# In: %rdi registers (see `machine::Registers`), %rsi code that ends in RET. What faults ends here as well.
.global try_code
try_code:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rsp, SAVED_STACK(%rip)
    leaq 1f(%rip), %rax
    movq %rax, RESUME(%rip)
    pushq %rsi
    movq 0(%rdi), %rax
    movq 8(%rdi), %rcx
    movq 16(%rdi), %rdx
    movq 24(%rdi), %rbx
    movq 32(%rdi), %rsi
    movq 48(%rdi), %r8
    movq 56(%rdi), %r9
    movq 64(%rdi), %r10
    movq 72(%rdi), %r11
    movq 80(%rdi), %r12
    movq 88(%rdi), %r13
    movq 96(%rdi), %r14
    movq 104(%rdi), %r15
    movq 40(%rdi), %rdi
    call *(%rsp)
    movq %rdi, (%rsp)
    movq 8(%rsp), %rdi
    movq %rax, 0(%rdi)
    movq %rcx, 8(%rdi)
    movq %rdx, 16(%rdi)
    movq %rbx, 24(%rdi)
    movq %rsi, 32(%rdi)
    popq 40(%rdi)
    movq %r8, 48(%rdi)
    movq %r9, 56(%rdi)
    movq %r10, 64(%rdi)
    movq %r11, 72(%rdi)
    movq %r12, 80(%rdi)
    movq %r13, 88(%rdi)
    movq %r14, 96(%rdi)
    movq %r15, 104(%rdi)
1:  movq SAVED_STACK(%rip), %rsp
    movq $0, RESUME(%rip)
    popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

# In: %rdi code for ring 3. It has to fault.
.global try_user_code
try_user_code:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    movq %rsp, SAVED_STACK(%rip)
    leaq 1b(%rip), %rax
    movq %rax, RESUME(%rip)
    leaq user_stack_top(%rip), %rax
    pushq $0x23
    pushq %rax
    pushq $2
    pushq $0x2b
    pushq %rdi
    xorl %eax, %eax
    iretq

.section .text.interrupts, "ax"
.balign 16
.global interrupt_stubs
interrupt_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if vector != 8 && vector != 13 && vector != 14 && vector != 10 && vector != 11 && vector != 12 && vector != 17
        pushq $0
    .endif
    pushq $vector
    jmp interrupted
    .set vector, vector + 1
.endr

interrupted:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    leaq 72(%rsp), %rdi
    cld
    call payload_interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

# Pages of 1 GiB for all of memory: identity, where we are linked, and (filled in later) the shared alias.
.section .data.tables, "aw"
.balign 4096
.global pml4
pml4:
    .quad pdpt_low - OFFSET + 7
    .fill 255, 8, 0
    .quad pdpt_shared - OFFSET + 7
    .fill 254, 8, 0
    .quad pdpt_high - OFFSET + 7
pdpt_low:
    .set page, 0x87
    .rept 512
    .quad page
    .set page, page + 0x40000000
    .endr
pdpt_high:
    .fill 510, 8, 0
    .quad 0x00000087
    .quad 0x40000087
.global pdpt_shared
pdpt_shared:
    .fill 512, 8, 0

.balign 8
gdt:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff            # 0x10: code
    .quad 0x00cf93000000ffff            # 0x18: data
    .quad 0x00cff3000000ffff            # 0x20: data of ring 3
    .quad 0x00affb000000ffff            # 0x28: code of ring 3
.global task_descriptor
task_descriptor:                        # 0x30: filled in by `machine::init`
    .quad 0, 0
gdt_pointer:
    .word . - gdt - 1
    .quad gdt
idt_pointer:
    .word 256 * 16 - 1
    .quad IDT

.section .bss.stacks, "aw", @nobits
.balign 4096
stacks:
    .skip STACK_SIZE * 2
    .skip 0x1000
user_stack_top:
